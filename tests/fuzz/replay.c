/*
 * Runs a fuzz harness once over every file of a folder, in builds without libFuzzer, so that what
 * the fuzzers found stays tested: <unit>_corpus FOLDER. Exits with 1 if the folder has no files and
 * with 2 if one cannot be read; a finding aborts, after the name of the file that caused it.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static void fail(const char *path)
{
    perror(path);
    exit(2);
}

static void run(const char *path, size_t size)
{
    /* Of the exact size and on the heap, so that a sanitizer sees reading past the end. */
    uint8_t *data = malloc(size ? size : 1);
    FILE *file = fopen(path, "rbe");
    if (!data || !file || fread(data, 1, size, file) != size)
        fail(path);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static unsigned run_folder(const char *folder)
{
    struct dirent **entries;
    unsigned count = 0;
    int found = scandir(folder, &entries, NULL, alphasort); /* the same order everywhere */
    if (found < 0)
        fail(folder);
    for (int i = 0; i < found; i++) {
        struct stat status;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
            printf("%s\n", entries[i]->d_name);
            run(path, (size_t)status.st_size);
            count++;
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* the name is out before the input runs */
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    unsigned count = run_folder(argv[1]);
    printf("%u inputs\n", count);
    return count == 0;
}
