// The list of recipes, made of its rows.
#include <stdio.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/options.h"
#include "recipe.h"

#define RECIPE(name) extern const struct recipe_def recipe_##name;
#include "list.h"
#undef RECIPE

#define RECIPE(name) &recipe_##name,
const struct recipe_def *const recipe_list[] = {
#include "list.h"
};
#undef RECIPE
const int recipe_count = (int)(sizeof recipe_list / sizeof recipe_list[0]);

const struct recipe_def *recipe_find(const char *name)
{
    const char *names[sizeof recipe_list / sizeof recipe_list[0]];
    for (int i = 0; i < recipe_count; i++)
        names[i] = recipe_list[i]->name;
    int found = name_index(names, recipe_count, name);
    if (found >= 0)
        return recipe_list[found];
    const char *near = name_nearest(names, recipe_count, name);
    if (near)
        err_set(ERR_ARGUMENT, "no recipe is called '%s'; did you mean '%s'?", name, near);
    else
        err_set(ERR_ARGUMENT, "no recipe is called '%s'; 'posgrad reproduce --list' shows all",
                name);
    return NULL;
}
