typedef int duck_client_is_empty;
