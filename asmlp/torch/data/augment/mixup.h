// Mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019) of a batch, with the semantics of timm's
// Mixup in batch mode: one mixing proportion for the whole batch.
#pragma once

#include <torch/torch.h>

#include "asmlp/image/resize.h"
#include "asmlp/schema/option_info.h"
#include "asmlp/torch/data/augment/random.h"

namespace asmlp::data {

// What the targets of a batch are. The defaults are the authors' recipe for ImageNet.
struct MixupOptions {
  double mixup = 0.8;        // alpha of Beta(alpha, alpha) for mixup; 0: no mixup
  double cutmix = 1;         // the same for CutMix; 0: no CutMix
  double prob = 1;           // probability that a batch is mixed at all
  double switch_prob = 0.5;  // probability of CutMix where both are on
  int off_epoch = 0;         // finished epochs after which batches are not mixed; 0: never
  double smoothing = 0.1;    // label smoothing, with and without mixing

  // `epoch` is the number of finished ones.
  bool mixes(int epoch) const {
    return (mixup > 0 || cutmix > 0) && (off_epoch == 0 || epoch < off_epoch);
  }

  static void visit(auto& self, auto&& field) {
    field("mixup", self.mixup,
          OptionInfo{{.low = 0}, "Alpha of mixup's Beta distribution; 0: no mixup"});
    field("cutmix", self.cutmix,
          OptionInfo{{.low = 0}, "Alpha of CutMix's Beta distribution; 0: no CutMix"});
    field("mixup-prob", self.prob,
          OptionInfo{{.low = 0, .high = 1}, "Probability that a batch is mixed (mixup or CutMix)"});
    field("mixup-switch-prob", self.switch_prob,
          OptionInfo{{.low = 0, .high = 1},
                     "Probability of CutMix where mixup and CutMix are both on"});
    field("mixup-off-epoch", self.off_epoch,
          OptionInfo{{.low = 0}, "Finished epochs after which batches are not mixed; 0: never"});
    field("smoothing", self.smoothing, OptionInfo{{.low = 0, .below = 1}, "Label smoothing"});
  }
};

// How a batch is mixed: lambda is what stays of an image, the rest is its partner's.
struct Mix {
  double lambda = 1;
  bool cut = false;  // CutMix: the partner's pixels in `box`, else both images blended
  Window box;
};

// Beta(alpha, alpha) in [0, 1], alpha > 0: Joehnk's method in logarithms up to 1, above it a ratio
// of gamma variates by Marsaglia and Tsang's method.
double symmetric_beta(double alpha, Random& random);

// timm's rand_bbox: sides sqrt(1 - lambda) of the image's, cut down to pixels, around a center
// uniform over the image, clipped at its border. May be empty.
Window cutmix_box(int height, int width, double lambda, Random& random);

// The draw of a batch of height x width images. With CutMix `lambda` is corrected to the area of
// the clipped box.
Mix draw_mix(int height, int width, const MixupOptions& options, Random& random);

// N x classes, fp32: 1 - smoothing + smoothing / classes at the target and smoothing / classes
// elsewhere, of which `lambda` for targets[i] and 1 - lambda for targets[N - 1 - i]. targets: N,
// int64.
torch::Tensor mixed_targets(const torch::Tensor& targets, double lambda, int classes,
                            double smoothing);

// Mixes `images` (N x C x H x W, fp32) in place with the batch in reversed order, as one draw_mix
// says, and gives the mixed_targets. With an odd N the middle image is its own partner. `classes`
// is above every target.
torch::Tensor mix_batch(torch::Tensor& images, const torch::Tensor& targets,
                        const MixupOptions& options, int classes, Random& random);

}  // namespace asmlp::data
