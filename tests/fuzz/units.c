/* Numbers, durations, sizes and signals from anyone: no input may crash, and what prints parses
 * back. */

#include <stdint.h>
#include <stdlib.h>

#include "engine/base/buf.h"
#include "engine/base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    cleanup_buf struct buf out = BUF_INIT;
    int64_t ns, again_ns, number;
    uint64_t bytes;
    int signal_number;

    (void)parse_i64(text, INT64_MIN, INT64_MAX, &number, NULL);
    (void)parse_bytes(text, &bytes, NULL);
    if (parse_signal(text, &signal_number, NULL) == 0 && !*signal_name(signal_number))
        abort();
    if (parse_duration_ns(text, &ns, NULL) == 0) {
        print_duration_go(&out, ns);
        if (parse_duration_ns(buf_str(&out), &again_ns, NULL) < 0 || again_ns != ns)
            abort();
    }
    return 0;
}
