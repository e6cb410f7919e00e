/* Runs a fuzz harness once over every file of the folders given: what the fuzzers found stays
 * tested where there is no libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    static uint8_t data[1 << 20];
    struct stat status;
    FILE *f = fopen(path, "re");
    if (!f || fstat(fileno(f), &status) != 0 || !S_ISREG(status.st_mode)) {
        if (f)
            fclose(f);
        return 0;
    }
    size_t size = fread(data, 1, sizeof(data), f);
    fclose(f);
    /* An exact allocation, so that a sanitizer sees reading past the end. */
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        return 0;
    for (size_t i = 0; i < size; i++)
        exact[i] = data[i];
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (!folder) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            char path[4096];
            snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
            count += replay(path);
        }
        closedir(folder);
    }
    printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
