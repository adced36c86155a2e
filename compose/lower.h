#pragma once

/* struct project → struct desired: the one file that knows both languages. Pure. */

struct arena;
struct desired;
struct error;
struct project;

/* Everything lives in the arena; strings may be borrowed from the project, which must live as long.
 * What the engine can't honour is refused before (project_refuse_unhonoured). Fails with
 * ERROR_INVALID, naming file and line, where two services build one image in different ways. */
int lower_project(struct arena *arena, const struct project *project, const struct desired **ret,
                  struct error *err);
