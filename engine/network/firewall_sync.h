#pragma once

/* Keeping the kernel's table equal to the records. Callers first write what they want into records
 * and endpoint files, then send the difference; when the difference doesn't apply (the table was
 * flushed, an element was lost), everything is made again from the files. */

struct error;
struct netlink_batch;
struct network_dirs;

/* Send a whole batch, or rebuild. `leaving` is a network that still has a record but is being
 * removed; NULL: none. */
int firewall_sync(const struct network_dirs *dirs, const char *leaving, struct netlink_batch *batch,
                  struct error *err);

/* The first half of it. Returns 0, or 1 when only firewall_rebuild helps. */
int firewall_try(const struct network_dirs *dirs, struct netlink_batch *batch, struct error *err);

int firewall_rebuild(const struct network_dirs *dirs, const char *leaving, struct error *err);

/* See firewall_admit. */
int firewall_ensure_admission(const struct network_dirs *dirs, struct error *err);

/* The last network went: remove the table, and our rules in others' chains. */
int firewall_remove(const struct network_dirs *dirs, struct error *err);
