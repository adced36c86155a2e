#pragma once

/* Engine verbs, in groups: berth image ls, berth network create … They know engine.h, no project.
 */

struct cli_context;
struct cli_verb;
struct engine;
struct engine_job;
struct error;
struct strings;

extern const struct cli_verb image_verb, network_verb, volume_verb;

int engine_command_open(struct cli_context *context, struct engine **ret, struct error *err);

/* Do something to each object that is named, until one fails; what is done is printed. */
typedef int engine_command_act(struct cli_context *context, struct engine *engine, const char *name,
                               struct error *err);
int engine_command_each(struct cli_context *context, const struct strings *names,
                        engine_command_act *act, struct error *err);

/* Show a job's progress and output on stderr until it ends; prints the image's id to stdout. Takes
 * the job. */
int engine_command_finish_job_take(struct cli_context *context, struct engine_job *job,
                                   const char *subject, struct error *err);
