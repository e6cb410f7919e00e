#include "image.h"

#include <errno.h>
#include <webp/decode.h>
#include <webp/encode.h>

static int write_part(const uint8_t *data, size_t length, const WebPPicture *picture)
{
    return locked_bytes_append(picture->custom_ptr, data, length) == 0;
}

int image_encode(struct locked_bytes *out, const struct picture *picture)
{
    WebPConfig config;
    WebPPicture webp;
    /* These fail only if the library is of another major version than the header. */
    if (!WebPConfigInit(&config) || !WebPConfigLosslessPreset(&config, 1) ||
        !WebPPictureInit(&webp))
        return -ENOMEM;
    /* Alpha is opaque everywhere; "exact" keeps libwebp from looking for what it could change. */
    config.exact = 1;
    webp.use_argb = 1;
    webp.width = (int)picture->width;
    webp.height = (int)picture->height;
    webp.argb = picture->pixels;
    webp.argb_stride = (int)picture->width;
    webp.writer = write_part;
    webp.custom_ptr = out;
    int encoded = WebPEncode(&config, &webp);
    WebPPictureFree(&webp); /* leaves pixels alone that it did not allocate */
    if (!encoded) {
        locked_bytes_clear(out);
        return -ENOMEM;
    }
    locked_bytes_trim(out);
    return 0;
}

int image_decode(struct picture **out, const void *bytes, size_t length)
{
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(bytes, length, &features) != VP8_STATUS_OK || features.has_animation)
        return IMAGE_BAD;
    struct picture *picture = NULL;
    int result = picture_new(&picture, (uint32_t)features.width, (uint32_t)features.height);
    if (result)
        return result == -EINVAL ? IMAGE_BAD : result;
    size_t stride = (size_t)picture->width * 4;
    if (!WebPDecodeBGRAInto(bytes, length, (uint8_t *)picture->pixels, stride * picture->height,
                            (int)stride)) {
        picture_free(picture);
        return IMAGE_BAD;
    }
    *out = picture;
    return 0;
}
