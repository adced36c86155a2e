#pragma once

/* What must hold for every explanation: for tests/golden, tests/property and tests/fuzz. */

struct arena;
struct project;

/* Each value of a project that was loaded with PROJECT_WITH_HISTORY is explained as what it is, by
 * at least one step that still counts; a text or number by only one. NULL, or what is broken. */
const char *law_explains(struct arena *arena, const struct project *project);
