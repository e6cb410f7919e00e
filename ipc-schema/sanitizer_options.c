/*
 * nng 1.5 loses now and then a message of a few bytes, or a part of a dialer, when a connection
 * closes in mid-transfer, and frees others only in its own time. LeakSanitizer is told so in
 * sanitizer builds, for the tests that end normally.
 */
#ifdef CLOISTER_SANITIZE

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:nni_\nleak:nng_\n";
}

#endif
