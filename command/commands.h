/* SPDX-License-Identifier: MIT
 *
 * commands.h - one function per subcommand (design section 8).
 *
 * Layer:  command. Each gets argv[0] = the command's name and answers the exit status; main() is
 *         the only place that exits. Results go to standard output, everything else to standard
 *         error.
 */
#ifndef REFRESHD_COMMAND_COMMANDS_H
#define REFRESHD_COMMAND_COMMANDS_H

int command_serve(int argc, char **argv);
int command_once(int argc, char **argv);
int command_check(int argc, char **argv);
int command_config(int argc, char **argv);
int command_next(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_status(int argc, char **argv);
int command_why(int argc, char **argv);
int command_consents(int argc, char **argv);
int command_jobs(int argc, char **argv);
int command_runs(int argc, char **argv);
int command_report(int argc, char **argv);
int command_trigger(int argc, char **argv);
int command_pause(int argc, char **argv);
int command_resume(int argc, char **argv);
int command_reset(int argc, char **argv);
int command_release(int argc, char **argv);
int command_drain(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_db(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_sandbox(int argc, char **argv);
int command_version(int argc, char **argv);

#endif
