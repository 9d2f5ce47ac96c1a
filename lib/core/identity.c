typedef int identity_is_empty;
