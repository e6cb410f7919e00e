/*
 * policyc: compiles a policy file (docs/policy-language.md) at build time.
 *
 *   policyc [--overlay FILE] [--libraries LDD_OUTPUT] MODE POLICY OUTPUT
 *
 * MODE is filter (the worker's C file), header (its declaration), table (the monitor's and the
 * launcher's C file) or reasons (Markdown). Exit status: 0, 1 for errors in the policy (each is
 * printed as file:line), 2 for anything else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

#ifdef CLOISTER_SANITIZE
/* What it reads lives as long as the process, which is milliseconds; what an overlay or a policy
 * replaces is not freed either. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

static struct document document;

static int usage(void)
{
    fprintf(stderr, "usage: policyc [--overlay FILE] [--libraries FILE] "
                    "filter|header|table|reasons POLICY OUTPUT\n");
    return 2;
}

/* "sandbox/sanitizer.policy" is the overlay "sanitizer". */
static const char *overlay_name(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *name = copy(slash == NULL ? file : slash + 1);
    char *dot = strchr(name, '.');
    if (dot != NULL)
        *dot = '\0';
    return name;
}

static int write_output(const char *mode, const char *file)
{
    FILE *out = fopen(file, "we");
    if (out == NULL) {
        fprintf(stderr, "policyc: %s: %s\n", file, strerror(errno));
        return 2;
    }
    int known = 1;
    if (strcmp(mode, "filter") == 0)
        output_filter(&document, out);
    else if (strcmp(mode, "header") == 0)
        output_filter_header(&document, out);
    else if (strcmp(mode, "table") == 0)
        output_table(&document, out);
    else if (strcmp(mode, "reasons") == 0)
        output_reasons(&document, out);
    else
        known = 0;
    int failed = ferror(out);
    if (fclose(out) != 0 || failed || !known || document.errors != 0) {
        remove(file);
        return known ? 1 : usage();
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *overlay = NULL;
    const char *libraries = NULL;
    int i = 1;
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (strcmp(argv[i], "--overlay") == 0)
            overlay = argv[i + 1];
        else if (strcmp(argv[i], "--libraries") == 0)
            libraries = argv[i + 1];
        else
            return usage();
    }
    if (argc - i != 3)
        return usage();
    document.file = argv[i + 1];
    document_read(&document, document.file, false);
    if (overlay != NULL) {
        document.overlay = overlay_name(overlay);
        document_read(&document, overlay, true);
    }
    if (libraries != NULL)
        document_add_libraries(&document, libraries);
    document_check(&document);
    if (document.errors != 0)
        return 1;
    return write_output(argv[i], argv[i + 2]);
}
