/* What is at every pixel of an image?   segment_c MODEL IMAGE */
#include <asmlp/asmlp.h>
#include <stdio.h>

int main(int argc, char** argv) {
  asmlp_model* model = NULL;
  asmlp_segmentor* segmentor = NULL;
  asmlp_segment_options options = {0}; /* the defaults */
  const asmlp_class_share* shares = NULL;
  const uint8_t* labels = NULL;
  int i, failed, count = 0, height = 0, width = 0;
  if (argc != 3) {
    fprintf(stderr, "usage: segment_c MODEL IMAGE\n");
    return 2;
  }
  options.flip = 1; /* the mean of the image and its mirror image */
  failed = asmlp_model_load(argv[1], NULL, &model) != ASMLP_OK ||
           asmlp_segmentor_create(model, &options, &segmentor) != ASMLP_OK ||
           asmlp_segmentor_run_file(segmentor, argv[2]) != ASMLP_OK ||
           asmlp_segmentor_labels(segmentor, 0, &labels, &height, &width) != ASMLP_OK ||
           asmlp_segmentor_shares(segmentor, 0, &shares, &count) != ASMLP_OK;
  if (failed) {
    fprintf(stderr, "%s\n", asmlp_last_error());
  } else {
    printf("%d x %d pixels, the middle one has label %d\n", width, height,
           labels[height / 2 * width + width / 2]);
    for (i = 0; i < count; ++i) printf("%.9g %s\n", shares[i].share, shares[i].name);
  }
  asmlp_segmentor_free(segmentor);
  asmlp_model_free(model);
  return failed;
}
