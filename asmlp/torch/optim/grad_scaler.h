// Loss scaling for fp16 (Micikevicius et al., ICLR 2018): half precision rounds gradients below
// 6e-8 to zero, so the loss is multiplied by a power of two that keeps them above, and the gradient
// divided by it again.
#pragma once

namespace asmlp::train {

// The scale of the next step, with the constants of torch.cuda.amp.GradScaler: it starts at 65536,
// halves when a gradient overflowed (that step is left out) and doubles after 2000 steps without.
// Without scaling (enabled = false) it is 1 and stays.
class GradScaler {
 public:
  static constexpr double kStart = 65536, kGrowth = 2, kBackoff = 0.5;
  static constexpr int kInterval = 2000;

  explicit GradScaler(bool enabled) : enabled_(enabled), scale_(enabled ? kStart : 1) {}

  double scale() const { return scale_; }
  int good_steps() const { return good_steps_; }  // since the scale last changed

  // After a step: whether its gradient (of the scaled loss) was not finite.
  void update(bool overflow) {
    if (!enabled_) return;
    if (overflow) {
      scale_ *= kBackoff;
      good_steps_ = 0;
    } else if (++good_steps_ == kInterval) {
      // Beyond fp32's range it would be infinite; the loss is scaled in fp32.
      if (scale_ * kGrowth < 0x1p127) scale_ *= kGrowth;
      good_steps_ = 0;
    }
  }

  // Continues where another scaler was. A run that was not scaled starts anew.
  void restore(double scale, int good_steps) {
    if (!enabled_ || scale == 1) return;
    scale_ = scale;
    good_steps_ = good_steps;
  }

 private:
  bool enabled_;
  double scale_;
  int good_steps_ = 0;
};

}  // namespace asmlp::train
