/* Messages of the local API as JSON, by their descriptors: what proto/local.proto says, --json prints. */
#include "commands.h"

#include "core/binary_data.h"
#include "wire/local.pb-c.h"

#include <sodium.h>

static bool is_json_field(const char *name)
{
    return strcmp(name, "payload") == 0 || strcmp(name, "result") == 0;
}

static json_t *json_of_bytes(const char *name, struct bytes bytes)
{
    char *text;
    size_t size;
    json_t *json;

    if (is_json_field(name) && bytes.size > 0) {
        json = json_loadb((const char *)bytes.data, bytes.size, JSON_DECODE_ANY, NULL);
        if (json)
            return json;
    }
    if (bytes_are_text(bytes, true))
        return json_stringn((const char *)bytes.data, bytes.size);
    size = sodium_base64_encoded_len(bytes.size, sodium_base64_VARIANT_ORIGINAL);
    text = memory_take(size);
    sodium_bin2base64(text, size, bytes.data, bytes.size, sodium_base64_VARIANT_ORIGINAL);
    json = json_string(text);
    memory_give_back(text);
    return json;
}

static json_t *json_of_member(const ProtobufCFieldDescriptor *field, const void *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE: {
        const void *message = *(void *const *)member;

        return message ? json_of_message(message) : json_null();
    }
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)member;

        return json_string(text ? text : "");
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *data = member;

        return json_of_bytes(field->name, borrowed(*data));
    }
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)member);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return json_integer((json_int_t) * (const uint64_t *)member);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return json_integer((json_int_t) * (const int64_t *)member);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)member);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        return json_integer(*(const int32_t *)member);
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_real(*(const double *)member);
    case PROTOBUF_C_TYPE_FLOAT:
        return json_real((double)*(const float *)member);
    }
    return json_null();
}

static size_t member_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_FLOAT:
        return 4;
    }
    return 0;
}

json_t *json_of_message(const void *message)
{
    const ProtobufCMessage *base = message;
    const uint8_t *bytes = message;
    json_t *object = json_object();

    for (unsigned i = 0; i < base->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &base->descriptor->fields[i];
        const uint8_t *member = bytes + field->offset;

        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = *(const size_t *)(const void *)(bytes + field->quantifier_offset);
            const uint8_t *items = *(uint8_t *const *)(const void *)member;
            json_t *array = json_array();

            for (size_t j = 0; j < count; j++)
                json_array_append_new(array, json_of_member(field, items + j * member_size(field)));
            json_object_set_new(object, field->name, array);
        } else {
            json_object_set_new(object, field->name, json_of_member(field, member));
        }
    }
    return object;
}
