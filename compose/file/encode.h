#pragma once

/* The project as the tree that `config` prints (private to compose/file; in project.c). */

#include <stdbool.h>

struct arena;
struct node;
struct project;

const struct node *project_encode(struct arena *arena, const struct project *project, bool is_json);
