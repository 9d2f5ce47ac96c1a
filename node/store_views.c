typedef int store_views_is_empty;
