/*
 * policyc: compiles a policy file (docs/policy-language.md) at build time.
 *
 *   policyc [--overlay FILE] [--libraries LDD_OUTPUT] filter|header|table POLICY OUTPUT
 *   policyc reasons POLICY... OUTPUT
 *
 * filter: the worker's C file; header: its declaration; table: the monitor's and the launcher's C
 * file; reasons: every dangerous entry and why it is there, as Markdown. Exit status: 0, 1 for
 * errors in the policy (each is printed as file:line), 2 for anything else.
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
                    "filter|header|table POLICY OUTPUT\n"
                    "       policyc reasons POLICY... OUTPUT\n");
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

static void compile(const char *file, const char *overlay, const char *libraries)
{
    memset(&document, 0, sizeof(document));
    document.file = file;
    document_read(&document, file, false);
    /* A command is no program of this build: its filter is the same in every one. */
    if (overlay != NULL && !document.command.set) {
        document.overlay = overlay_name(overlay);
        document_read(&document, overlay, true);
    }
    if (libraries != NULL)
        document_add_libraries(&document, libraries);
    document_check(&document);
}

static void write_mode(const char *mode, FILE *out)
{
    if (strcmp(mode, "filter") == 0)
        output_filter(&document, out);
    else if (strcmp(mode, "header") == 0)
        output_filter_header(&document, out);
    else if (strcmp(mode, "table") == 0)
        output_table(&document, out);
    else
        output_reasons(&document, out);
}

static bool is_mode(const char *mode)
{
    static const char *const modes[] = {"filter", "header", "table", "reasons"};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(modes[i], mode) == 0)
            return true;
    return false;
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
    const char *mode = argc - i < 3 ? "" : argv[i++];
    if (!is_mode(mode) || (argc - i > 2 && strcmp(mode, "reasons") != 0))
        return usage();
    const char *output = argv[argc - 1];
    FILE *out = fopen(output, "we");
    unsigned errors = 0;
    for (; out != NULL && i < argc - 1; i++) {
        compile(argv[i], overlay, libraries);
        if (document.errors == 0)
            write_mode(mode, out);
        errors += document.errors;
    }
    if (out == NULL || ferror(out) || fclose(out) != 0) {
        fprintf(stderr, "policyc: %s: %s\n", output, strerror(errno));
        return 2;
    }
    if (errors != 0)
        remove(output);
    return errors != 0;
}
