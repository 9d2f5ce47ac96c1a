typedef int local_api_is_empty;
