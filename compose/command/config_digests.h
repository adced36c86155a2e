#pragma once

/* Images with the digests of what they mean (private to config). */

struct cli_context;
struct error;
struct project;

/* The project with every service's image as NAME:TAG@sha256:…: what it was pulled as, else what its
 * registry says. Images that a build section makes are in no registry unless they were pulled: they
 * stay as they are. Errors name the service and its line. */
int config_pin_images(struct cli_context *context, const struct project *project,
                      const struct project **ret, struct error *err);
