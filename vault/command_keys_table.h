/* The table in its section, which generate_keys.py writes. Read it by command_keys_built_in(). */
#ifndef CLOISTER_VAULT_COMMAND_KEYS_TABLE_H
#define CLOISTER_VAULT_COMMAND_KEYS_TABLE_H

#include "command_keys.h"

extern const struct command_keys command_keys_table;

#endif
