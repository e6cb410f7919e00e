/*
 * Verifies tokens for the tests, which drive it with other implementations of JOSE.
 *
 * usage: check_tokens TABLE [REVOKED]
 *
 * TABLE is a file as large as the section of built-in keys; REVOKED a number whose bit i says that
 * the key in row i is revoked. Standard input is tokens, each preceded by its length in four bytes,
 * little-endian; for each a line of JSON says what became of it. Exit status 2: the table is wrong.
 */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token.h"
#include "words.h"

#define INPUT_MAX (4u << 20)

static json_t *hex(const uint8_t *bytes, size_t length)
{
    char text[2 * 32 + 1];
    return json_string(sodium_bin2hex(text, sizeof text, bytes, length));
}

static json_t *texts(const char *const *list, uint32_t count)
{
    json_t *out = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(out, json_string(list[i]));
    return out;
}

static json_t *bytes_of(const uint8_t *bytes, size_t length)
{
    char *text = malloc(2 * length + 1);
    json_t *out = json_string(sodium_bin2hex(text, 2 * length + 1, bytes, length));
    free(text);
    return out;
}

static void tell_command(json_t *line, const struct token *token)
{
    static uint8_t written[ORDER_MAX];
    static struct order order;
    uint8_t digest[ORDER_DIGEST_SIZE];
    token_order(&order, token, 1, 2);
    order_digest(digest, &order);
    json_object_set_new(line, "order",
                        json_integer((json_int_t)order_write(written, sizeof written, &order)));
    json_object_set_new(line, "digest", hex(digest, sizeof digest));
    json_object_set_new(line, "jti", hex(token->jti, sizeof token->jti));
    json_object_set_new(line, "seq", json_integer((json_int_t)token->seq));
    json_object_set_new(line, "nbf", json_integer((json_int_t)token->nbf));
    json_object_set_new(line, "exp", json_integer((json_int_t)token->exp));
    json_object_set_new(line, "profile", json_string(profile_word(token->profile)));
    json_object_set_new(line, "aud", texts(token->audience, token->audience_count));
    json_object_set_new(line, "argv", texts(token->argv, token->argc));
    json_object_set_new(line, "env", texts(token->env, token->envc));
    json_object_set_new(line, "script", bytes_of(token->script, token->script_length));
    json_object_set_new(line, "stdin", bytes_of(token->input, token->input_length));
    json_object_set_new(line, "time_ms", json_integer((json_int_t)token->time_ms));
    json_object_set_new(line, "output_bytes", json_integer((json_int_t)token->output_bytes));
    json_object_set_new(line, "summary", json_string(token->summary));
}

static void tell_revocation(json_t *line, const struct token *token)
{
    json_t *kids = json_array();
    for (uint32_t i = 0; i < token->revoked_count; i++)
        json_array_append_new(kids, json_string(token->revoked_kids[i]));
    json_object_set_new(line, "revoked", kids);
    json_object_set_new(line, "mask", json_integer(token->revoked_mask));
}

static void tell(const struct token *token, ipc_Decision decision)
{
    json_t *line = json_object();
    json_object_set_new(line, "decision", json_string(decision_word(decision)));
    json_object_set_new(line, "id", hex(token->id, sizeof token->id));
    json_object_set_new(line, "known", json_integer(token->known));
    if (token->known != TOKEN_UNKNOWN)
        json_object_set_new(line, "kid", json_string(token->kid));
    if (token->known == TOKEN_COMMAND)
        tell_command(line, token);
    if (token->known == TOKEN_REVOCATION)
        tell_revocation(line, token);
    json_dumpf(line, stdout, JSON_COMPACT);
    json_decref(line);
    putchar('\n');
    fflush(stdout);
}

static int verifier_of(struct token_verifier **out, const char *path)
{
    static struct command_keys table;
    FILE *file = fopen(path, "rbe");
    if (!file || fread(&table, sizeof table, 1, file) != 1) {
        perror(path);
        return 1;
    }
    fclose(file);
    const char *flaw = command_keys_flaw(&table);
    if (flaw)
        fprintf(stderr, "%s\n", flaw);
    int error = token_verifier_new(out, &table);
    if (!error == !flaw)
        return error ? 2 : 0;
    fprintf(stderr, "the verifier says %d\n", error);
    return 1;
}

int main(int argc, char **argv)
{
    static struct token token;
    static uint8_t input[INPUT_MAX];
    struct token_verifier *verifier;
    uint32_t length;
    if (argc < 2 || sodium_init() < 0)
        return 1;
    int error = verifier_of(&verifier, argv[1]);
    if (error)
        return error;
    uint32_t revoked = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 0;
    while (fread(&length, sizeof length, 1, stdin) == 1) {
        if (length > sizeof input || fread(input, 1, length, stdin) != length)
            return 1;
        /* A copy of exactly its length, so that AddressSanitizer sees what reads beyond. */
        uint8_t *bytes = malloc(length ? length : 1);
        memcpy(bytes, input, length);
        ipc_Decision decision = token_verify(verifier, &token, bytes, length, revoked);
        free(bytes);
        tell(&token, decision);
    }
    token_verifier_free(verifier);
    return 0;
}
