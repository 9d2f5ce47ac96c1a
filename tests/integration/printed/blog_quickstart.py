import spaceduck

# Authenticate with your Beak Key
duck = spaceduck.Duck(
    beak_key="sd_bk_your_key_here",
    api_base="https://your-api-gateway-url.execute-api.us-east-1.amazonaws.com/prod"
)

# Pull live platform metrics
metrics = duck.metrics()
print(f"Ducklings: {metrics['total_ducklings']}")
print(f"Certs issued: {metrics['certs_issued']}")

# Send a peck request to another duckling
result = duck.peck(
    target_duckling_id="dkl_abc123",
    peck_type="data.read",
    message="Hello from my agent"
)
print(f"Peck status: {result['status']}")

# Approve an incoming peck
duck.approve(peck_id="pck_xyz789")
