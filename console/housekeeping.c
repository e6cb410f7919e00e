#include "housekeeping.h"

#include <stdio.h>

#include "certificate.h"
#include "clocks.h"
#include "log.h"
#include "output_file.h"
#include "queue.h"

#define AT_ONCE          100 /* bundles, and commands */
#define CERTIFICATE_DAYS 14  /* to its end, when a warning begins */

static uint64_t days_ago(uint32_t days)
{
    return clocks_wall_ms() - (uint64_t)days * 24 * 3600 * 1000;
}

/* The file first: a command without one has no output, a file without one would never go. */
static void expire_commands(struct store *store, int folder, uint64_t before_ms)
{
    int64_t row;
    for (int i = 0; i < AT_ONCE && queue_expired(store, before_ms, &row) == 0; i++) {
        if (output_file_remove(folder, row) != 0 || queue_delete(store, row, false) != 0)
            return;
        log_notice("command %lld: expired", (long long)row);
    }
}

static void look_at_certificate(const struct config *config)
{
    int days = 0;
    char file[PATH_MAX + 16];
    snprintf(file, sizeof(file), "%s/server.pem", config->state);
    const char *certificate = config->certificate[0] ? config->certificate : file;
    if (certificate_days_left(certificate, &days) == 0 && days < CERTIFICATE_DAYS)
        log_warning("%s ends in %d days; the console renews its own when it is restarted",
                    certificate, days);
}

void housekeeping(const struct config *config, const struct upload_env *uploads, int commands)
{
    upload_expire(uploads, days_ago(config->incomplete_days), AT_ONCE);
    expire_commands(uploads->store, commands, days_ago(config->commands_days));
    look_at_certificate(config);
}
