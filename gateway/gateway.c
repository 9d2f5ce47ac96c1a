typedef int gateway_is_empty;
