/*
 * Runs a fuzz harness over the files of its corpus, in builds without libFuzzer:
 * corpus_replay FOLDER. Exits with 1 if the folder has no files; a finding aborts.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(65536); /* on the heap and of the exact size: overreads are seen */
    size_t size = file && data ? fread(data, 1, 65536, file) : 0;
    data = size ? realloc(data, size) : data;
    if (!file || !data) {
        perror(path);
        exit(2);
    }
    fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (entry->d_type == DT_REG) {
            run(argv[1], entry->d_name);
            count++;
        }
    }
    if (folder)
        closedir(folder);
    printf("%u inputs\n", count);
    return count == 0;
}
