typedef int id_is_empty;
