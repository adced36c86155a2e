#pragma once

/* The project verbs, each in a file of its own. */

struct cli_verb;

extern const struct cli_verb up_verb, create_verb, down_verb;
extern const struct cli_verb start_verb, stop_verb, restart_verb, kill_verb;
extern const struct cli_verb ps_verb, logs_verb, exec_verb;
extern const struct cli_verb internal_verb; /* hidden: completions, man pages, schemas */
extern const struct cli_verb plan_verb, config_verb, build_verb, version_verb;
