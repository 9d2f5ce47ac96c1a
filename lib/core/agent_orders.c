typedef int agent_orders_is_empty;
