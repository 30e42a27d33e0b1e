/* The promises of <asmlp/asmlp.h> where the system says no, and where a program is careless: no
 * threads, no memory, fork(), one engine in two threads, numbers that no enum has. Each is tried in
 * a child process, so that a signal or a hang is a failure with a name.
 * Arguments: a model of 10 classes and one channel; "sanitized" where a sanitizer limits what a
 * child may do. */
#define _DEFAULT_SOURCE
#include <asmlp/asmlp.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kPixels = 28 * 28 };

static asmlp_model* model;
static asmlp_engine* inherited;
static float input[kPixels];
static float right[10];

#define CHECK(condition)                                                          \
  do {                                                                            \
    if (!(condition)) {                                                           \
      fprintf(stderr, "%d: %s [%s]\n", __LINE__, #condition, asmlp_last_error()); \
      return 1;                                                                   \
    }                                                                             \
  } while (0)

static asmlp_status run_once(asmlp_engine* engine) {
  return asmlp_engine_run_tensor(engine, input, 1, 28, 28);
}

/* Whether the results of the engine are `right`, to the bit. */
static int is_right(const asmlp_engine* engine) {
  const float* logits = NULL;
  return asmlp_engine_logits(engine, &logits) == ASMLP_OK &&
         memcmp(logits, right, sizeof right) == 0;
}

static int works(const asmlp_run_options* options) {
  asmlp_engine* engine = NULL;
  CHECK(asmlp_engine_create(model, options, &engine) == ASMLP_OK);
  CHECK(run_once(engine) == ASMLP_OK);
  CHECK(is_right(engine));
  asmlp_engine_free(engine);
  return 0;
}

static int names(void) {
  const int numbers[] = {INT_MIN, -5, -1, 12, 99, INT_MAX};
  size_t i;
  asmlp_run_options options = {0};
  asmlp_load_options loading = {0};
  asmlp_engine* engine = NULL;
  asmlp_model* other = NULL;
  for (i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
    const int number = numbers[i];
    CHECK(strcmp(asmlp_status_name((asmlp_status)number), "unknown") == 0);
    CHECK(strcmp(asmlp_task_name((asmlp_task)number), "unknown") == 0);
    CHECK(strcmp(asmlp_precision_name((asmlp_precision)number), "unknown") == 0);
    CHECK(strcmp(asmlp_isa_name((asmlp_isa)number), "unknown") == 0);
    options.exif = (asmlp_exif)number;
    CHECK(asmlp_engine_create(model, &options, &engine) == ASMLP_INVALID_ARGUMENT);
    loading.precision = (asmlp_precision)number;
    CHECK(asmlp_model_load("any", &loading, &other) == ASMLP_INVALID_ARGUMENT);
    loading.precision = ASMLP_PRECISION_FP32;
    loading.isa = (asmlp_isa)number;
    CHECK(asmlp_model_load("any", &loading, &other) == ASMLP_INVALID_ARGUMENT);
    loading.isa = ASMLP_ISA_AUTO;
  }
  CHECK(strcmp(asmlp_status_name(ASMLP_BUSY), "busy") == 0);
  return 0;
}

static int child_uses_parents_engine(void) {
  const float* values = (const float*)&input;
  asmlp_prediction best;
  CHECK(run_once(inherited) == ASMLP_UNSUPPORTED);
  CHECK(strstr(asmlp_last_error(), "in the child") != NULL);
  CHECK(asmlp_engine_logits(inherited, &values) == ASMLP_UNSUPPORTED && values == NULL);
  CHECK(asmlp_engine_embedding(inherited, &values) == ASMLP_UNSUPPORTED);
  CHECK(asmlp_engine_top_k(inherited, 0, 1, &best) == ASMLP_UNSUPPORTED);
  CHECK(asmlp_engine_run_encoded(inherited, input, 1) != ASMLP_OK);
  asmlp_engine_free(inherited);
  asmlp_model_free(model);
  return 0;
}

static int child_makes_an_engine(void) {
  asmlp_run_options options = {0};
  options.threads = 3;
  return works(&options);
}

/* As an ordinary user, the account's other processes count, too: then no thread can be had. */
static int no_threads(void) {
  const struct rlimit limit = {8, 8};
  asmlp_run_options options = {0};
  CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
  if (getuid() == 0) CHECK(setuid(61234) == 0);
  options.threads = 64;
  return works(&options) || works(NULL);
}

static int no_memory(void) {
  enum { kSide = 4000 };
  const rlim_t most = (rlim_t)500 << 20;
  const struct rlimit limit = {most, most};
  asmlp_run_options options = {0};
  asmlp_engine* engine = NULL;
  float* large = calloc((size_t)kSide * kSide, sizeof *large);
  CHECK(large != NULL && setrlimit(RLIMIT_AS, &limit) == 0);
  options.threads = 1;
  CHECK(asmlp_engine_create(model, &options, &engine) == ASMLP_OK);
  CHECK(asmlp_engine_run_tensor(engine, large, 1, kSide, kSide) == ASMLP_OUT_OF_MEMORY);
  CHECK(strstr(asmlp_last_error(), " MB ") != NULL);
  CHECK(run_once(engine) == ASMLP_OK && is_right(engine));
  options.image_size = 8000;
  asmlp_engine_free(engine);
  CHECK(asmlp_engine_create(model, &options, &engine) == ASMLP_OUT_OF_MEMORY && engine == NULL);
  CHECK(strstr(asmlp_last_error(), " MB ") != NULL);
  return 0;
}

static int statuses[2][ASMLP_BUSY + 1];
static volatile int over;

static void* hurry(void* own) {
  int* counts = own;
  asmlp_prediction best[3];
  const float* values;
  while (!over) {
    ++counts[run_once(inherited)];
    ++counts[asmlp_engine_top_k(inherited, 0, 3, best)];
    ++counts[asmlp_engine_embedding(inherited, &values)];
  }
  return NULL;
}

static int two_threads(void) {
  pthread_t threads[2];
  const time_t start = time(NULL);
  int i;
  for (i = 0; i < 2; ++i) CHECK(pthread_create(&threads[i], NULL, hurry, statuses[i]) == 0);
  while (time(NULL) < start + 2) usleep(10000);
  over = 1;
  for (i = 0; i < 2; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  for (i = 0; i <= ASMLP_BUSY; ++i) {
    const int count = statuses[0][i] + statuses[1][i];
    /* A run that another thread has begun leaves no results until it is done: that is no fault. */
    CHECK((i == ASMLP_OK || i == ASMLP_BUSY) == (count > 0));
  }
  CHECK(run_once(inherited) == ASMLP_OK && is_right(inherited));
  return 0;
}

/* A child that is forked in the middle of other threads' runs. */
static int fork_in_a_run(void) {
  pthread_t thread;
  int round;
  CHECK(pthread_create(&thread, NULL, hurry, statuses[0]) == 0);
  for (round = 0; round < 20; ++round) {
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      if (child_makes_an_engine() != 0) _exit(1);
      _exit(child_uses_parents_engine());
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  over = 1;
  CHECK(pthread_join(thread, NULL) == 0);
  return 0;
}

static int try_in_child(const char* name, int (*what)(void)) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(what());
  }
  if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return 0;
  fprintf(stderr, "%s: %s %d\n", name, WIFSIGNALED(status) ? "signal" : "exit code",
          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return 1;
}
#define TRY(what) failures += try_in_child(#what, what)

/* Those that use the engine of the process: each makes it anew, as the child's own. */
static int with_own_engine(int (*what)(void)) {
  asmlp_run_options options = {0};
  options.threads = 4;
  CHECK(asmlp_engine_create(model, &options, &inherited) == ASMLP_OK);
  return what();
}
static int own_two_threads(void) { return with_own_engine(two_threads); }
static int own_fork_in_a_run(void) { return with_own_engine(fork_in_a_run); }

int main(int argc, char** argv) {
  int failures = 0, i;
  const float* logits = NULL;
  asmlp_run_options options = {0};
  const int sanitized = argc > 2 && strcmp(argv[2], "sanitized") == 0;
  for (i = 0; i < kPixels; ++i) input[i] = (float)(i % 17) / 17 - 0.4f;
  CHECK(argc > 1 && asmlp_model_load(argv[1], NULL, &model) == ASMLP_OK);
  options.threads = 1;
  CHECK(asmlp_engine_create(model, &options, &inherited) == ASMLP_OK);
  CHECK(run_once(inherited) == ASMLP_OK);
  CHECK(asmlp_engine_logits(inherited, &logits) == ASMLP_OK);
  memcpy(right, logits, sizeof right);
  asmlp_engine_free(inherited);

  TRY(names);
  TRY(own_two_threads);
  if (!sanitized) {
    TRY(no_threads);
    TRY(no_memory);
    TRY(own_fork_in_a_run);
  }
  /* ThreadSanitizer allows no new threads in the child of a process that has some. */
  options.threads = 4;
  CHECK(asmlp_engine_create(model, &options, &inherited) == ASMLP_OK);
  CHECK(run_once(inherited) == ASMLP_OK);
  TRY(child_uses_parents_engine);
  if (!sanitized) TRY(child_makes_an_engine);
  asmlp_engine_free(inherited);
  asmlp_model_free(model);
  return failures != 0;
}
