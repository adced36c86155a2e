#pragma once

/* What printing takes from the files and not from the model, because a flag of loading asked for it
 * (private to compose/file): with PROJECT_NO_INTERPOLATE values with variables, with that or
 * PROJECT_NO_ENV_RESOLUTION the env files, with PROJECT_NO_NORMALIZE no default Dockerfile. */

struct encoder;
struct load;
struct node;
struct shape;

/* Without interpolation: the document with variables filled in only where it names other files and
 * services, because these are followed: include, and each service's extends; and wherever what is
 * printed could not mean the same: in files whose environment or `directory` is another one. */
const struct node *interpolate_references(struct load *load, const struct node *document,
                                          const char *directory);

/* `encoded`, as shape_encode() made it, with what stands in `source` (may be NULL) instead where
 * the flags (enum project_flags) ask for it; in the order of the shape. */
const struct node *as_written(const struct encoder *encoder, const struct shape *shape,
                              unsigned flags, const struct node *encoded,
                              const struct node *source);
