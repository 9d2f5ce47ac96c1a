typedef int local_orders_is_empty;
