typedef int noise_is_empty;
