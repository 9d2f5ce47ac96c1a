typedef int keyfile_is_empty;
