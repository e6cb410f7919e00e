#include "json_text.h"

#include "command.h"

json_t *json_text(const char *text)
{
    json_t *string = json_string(text);
    return string ? string : json_string(command_safe(text));
}

int json_print(json_t *root)
{
    if (!root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII)) {
        command_complain(NULL, "cannot write JSON: out of memory or space");
        json_decref(root);
        return PROGRAM_EXIT_FAILED;
    }
    putchar('\n');
    json_decref(root);
    return PROGRAM_EXIT_OK;
}
