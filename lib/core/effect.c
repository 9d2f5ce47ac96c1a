typedef int effect_is_empty;
