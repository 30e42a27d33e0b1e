/* What is on an image?   classify_c MODEL IMAGE */
#include <asmlp/asmlp.h>
#include <stdio.h>

int main(int argc, char** argv) {
  asmlp_model* model = NULL;
  asmlp_engine* engine = NULL;
  asmlp_prediction best[3];
  int i, failed;
  if (argc != 3) {
    fprintf(stderr, "usage: classify_c MODEL IMAGE\n");
    return 2;
  }
  failed = asmlp_model_load(argv[1], NULL, &model) != ASMLP_OK ||
           asmlp_engine_create(model, NULL, &engine) != ASMLP_OK ||
           asmlp_engine_run_file(engine, argv[2]) != ASMLP_OK ||
           asmlp_engine_top_k(engine, 0, 3, best) != ASMLP_OK;
  if (failed) {
    fprintf(stderr, "%s\n", asmlp_last_error());
  } else {
    for (i = 0; i < 3 && best[i].index >= 0; ++i) {
      printf("%.9g %s\n", best[i].probability, best[i].label);
    }
  }
  asmlp_engine_free(engine);
  asmlp_model_free(model);
  return failed;
}
