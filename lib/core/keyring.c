typedef int keyring_is_empty;
