#include "engine/base/error.h"
#include "engine/worker/worker.h"

int worker_pull(int state_fd, const json_t *request, json_t **ret, struct error *err)
{
    (void)state_fd, (void)request, (void)ret;
    return error_set(err, ERROR_UNSUPPORTED, "pull is not built in yet");
}
