/* All verbs of a tree. */

#include "engine/cli/walk.h"

#include <stdlib.h>

#include "engine/base/vec.h"
#include "engine/cli/cli.h"

struct cli_places cli_places_make(struct arena *arena, const struct cli_verb *root)
{
    VEC(struct cli_place) places = VEC_INIT, stack = VEC_INIT;
    struct cli_places result;

    vec_push(&stack, (struct cli_place){root, root->name});
    while (stack.n) {
        const struct cli_place place = *vec_last(&stack);
        size_t n = 0;

        stack.n--;
        vec_push(&places, place);
        if (!cli_is_group(place.verb))
            continue;
        while (cli_verb_at(place.verb, n))
            n++;
        while (n--) { /* from the last one: the first is popped first */
            const struct cli_verb *verb = cli_verb_at(place.verb, n);

            if (verb->flags & CLI_VERB_HIDDEN)
                continue;
            vec_push(&stack, (struct cli_place){
                                 verb, arena_printf(arena, "%s %s", place.path, verb->name)});
        }
    }
    result = (struct cli_places){vec_to_arena(&places, arena), places.n};
    vec_release(&places);
    vec_release(&stack);
    return result;
}
