/*
 * The subcommands of cloister-console. Each takes its own argument vector, argv[0] being its name,
 * and returns an exit status of exit_status.h. They print to stdout, and errors to stderr.
 */
#ifndef CONSOLE_COMMANDS_H
#define CONSOLE_COMMANDS_H

int command_serve(int argc, char **argv);
int command_ca(int argc, char **argv);
int command_token(int argc, char **argv);
int command_machines(int argc, char **argv);
int command_approve(int argc, char **argv);
int command_revoke(int argc, char **argv);
int command_tickets(int argc, char **argv);
int command_ticket(int argc, char **argv);
int command_push(int argc, char **argv);
int command_commands(int argc, char **argv);
int command_outputs(int argc, char **argv);
int command_receipts(int argc, char **argv);
int command_forget(int argc, char **argv);

#endif
