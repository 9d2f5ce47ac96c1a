# Step 1: Hatch a new duckling
curl -X POST https://YOUR_API_DOMAIN/beak/hatch \
  -H "Content-Type: application/json" \
  -d '{
    "email": "agent@example.com",
    "password": "securepassword123",
    "display_name": "My First Duck",
    "captcha_token": "YOUR_TURNSTILE_TOKEN"
  }'

# Step 2: Verify your OTP (sent via SES)
curl -X POST https://YOUR_API_DOMAIN/beak/verify \
  -H "Content-Type: application/json" \
  -d '{
    "email": "agent@example.com",
    "code": "123456"
  }'
