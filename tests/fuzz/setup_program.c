/* The zygote's first look at what it is sent: whatever passes wire_check can be walked. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/container/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct wire_program *program)
{
    size_t sum = 0;

    for (uint32_t i = 0; i < program->n_steps; i++) {
        const struct wire_step *step = wire_step(program, i);
        const struct wire_range ranges[] = {step->path, step->text, step->options};

        for (size_t k = 0; k < 3; k++) {
            const char *text = wire_text(program, ranges[k]);

            sum += text != NULL ? strlen(text) : 0;
        }
        for (uint32_t k = 0; k < step->data.size; k++)
            sum += ((const unsigned char *)program)[step->data.offset + k];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *copy = malloc(size + 1); /* aligned as the zygote's buffer is */
    volatile size_t sum = 0;

    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    for (size_t slots = 0; slots < 3; slots++) {
        if (wire_check(copy, size, slots))
            sum = walk(copy);
    }
    (void)sum;
    free(copy);
    return 0;
}
