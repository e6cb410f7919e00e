/*
 * What sanitizer builds run with: compiled in, since the environment is empty. Linked by whatever
 * locks itself, and empty in other builds.
 */
#ifdef CLOISTER_SANITIZE

/* Leak checking and symbolizing start threads and processes, which the filter kills. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:symbolize=0:allocator_may_return_null=1";
}

#endif
