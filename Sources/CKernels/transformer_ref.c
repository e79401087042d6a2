// Reference kernels of the decoder's layers: the specification the fast twins are
// tested against.
#include <math.h>
#include <string.h>
#include "qat_transformer.h"

void qat_rmsnorm_forward_f32_ref(float *y, float *inv_rms, const float *x, const float *w,
                                 size_t R, size_t C, float eps) {
    for (size_t r = 0; r < R; r++) {
        const float *xr = x + r * C;
        double sum = 0;
        for (size_t c = 0; c < C; c++) sum += (double)xr[c] * xr[c];
        float inv = 1.0f / sqrtf((float)(sum / (double)C) + eps);
        inv_rms[r] = inv;
        for (size_t c = 0; c < C; c++) y[r * C + c] = xr[c] * inv * w[c];
    }
}

void qat_rmsnorm_backward_f32_ref(float *dx, float *dw, const float *dy, const float *x,
                                  const float *w, const float *inv_rms, size_t R, size_t C) {
    for (size_t r = 0; r < R; r++) {
        const float *xr = x + r * C;
        const float *dyr = dy + r * C;
        float inv = inv_rms[r];
        double dot = 0;
        for (size_t c = 0; c < C; c++) dot += (double)dyr[c] * w[c] * xr[c];
        float k = (float)(dot / (double)C) * inv * inv * inv;
        for (size_t c = 0; c < C; c++) {
            dx[r * C + c] += dyr[c] * w[c] * inv - xr[c] * k;
            if (dw) dw[c] += dyr[c] * xr[c] * inv;
        }
    }
}

void qat_layernorm_forward_f32_ref(float *y, float *stats, const float *x, const float *w,
                                   const float *b, size_t R, size_t C, float eps) {
    for (size_t r = 0; r < R; r++) {
        const float *xr = x + r * C;
        double sum = 0, squares = 0;
        for (size_t c = 0; c < C; c++) sum += xr[c];
        float mean = (float)(sum / (double)C);
        for (size_t c = 0; c < C; c++) squares += (double)(xr[c] - mean) * (xr[c] - mean);
        float inv = 1.0f / sqrtf((float)(squares / (double)C) + eps);
        stats[2 * r] = mean;
        stats[2 * r + 1] = inv;
        for (size_t c = 0; c < C; c++) y[r * C + c] = (xr[c] - mean) * inv * w[c] + b[c];
    }
}

void qat_layernorm_backward_f32_ref(float *dx, float *dw, float *db, const float *dy,
                                    const float *x, const float *w, const float *stats, size_t R,
                                    size_t C) {
    for (size_t r = 0; r < R; r++) {
        const float *xr = x + r * C;
        const float *dyr = dy + r * C;
        float mean = stats[2 * r], inv = stats[2 * r + 1];
        double sum = 0, dot = 0;
        for (size_t c = 0; c < C; c++) {
            double g = (double)dyr[c] * w[c];
            sum += g;
            dot += g * ((xr[c] - mean) * inv);
        }
        float mean_g = (float)(sum / (double)C), mean_dot = (float)(dot / (double)C);
        for (size_t c = 0; c < C; c++) {
            float normalized = (xr[c] - mean) * inv;
            dx[r * C + c] += inv * (dyr[c] * w[c] - mean_g - normalized * mean_dot);
            if (dw) dw[c] += dyr[c] * normalized;
            if (db) db[c] += dyr[c];
        }
    }
}

static void rotate(float *x, const float *cosine, const float *sine, const qat_rotation *shape,
                   float direction) {
    size_t half = shape->rotated / 2;
    for (size_t r = 0; r < shape->R; r++) {
        size_t position = shape->positions ? (size_t)shape->positions[r]
                                           : shape->first_position + r % shape->T;
        const float *c = cosine + position * half;
        const float *s = sine + position * half;
        for (size_t h = 0; h < shape->heads; h++) {
            float *low = x + (r * shape->heads + h) * shape->head_dim;
            float *high = low + half;
            for (size_t i = 0; i < half; i++) {
                float a = low[i], b = high[i], si = s[i] * direction;
                low[i] = a * c[i] - b * si;
                high[i] = b * c[i] + a * si;
            }
        }
    }
}

void qat_rope_rotate_f32(float *x, const float *cosine, const float *sine,
                         const qat_rotation *rotation) {
    rotate(x, cosine, sine, rotation, 1.0f);
}

void qat_rope_unrotate_f32(float *x, const float *cosine, const float *sine,
                           const qat_rotation *rotation) {
    rotate(x, cosine, sine, rotation, -1.0f);
}

void qat_softcap_f32_ref(float *x, size_t count, float scale, float cap) {
    for (size_t i = 0; i < count; i++) x[i] = cap * tanhf(x[i] * scale / cap);
}

void qat_softcap_gradient_f32(float *d, const float *capped, size_t count, float scale,
                              float cap) {
    for (size_t i = 0; i < count; i++) {
        float t = capped[i] / cap;
        d[i] *= (1.0f - t * t) * scale;
    }
}

void qat_softmax_row_f32_ref(float *scores, size_t count, float scale) {
    float best = -INFINITY;
    for (size_t i = 0; i < count; i++) best = fmaxf(best, scores[i]);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        scores[i] = expf((scores[i] - best) * scale);
        sum += scores[i];
    }
    float inverse = (float)(1.0 / sum);
    for (size_t i = 0; i < count; i++) scores[i] *= inverse;
}

void qat_softmax_row_gradient_f32_ref(float *gradient, const float *probabilities, size_t count,
                                      float scale) {
    double dot = 0;
    for (size_t i = 0; i < count; i++) dot += (double)gradient[i] * probabilities[i];
    for (size_t i = 0; i < count; i++)
        gradient[i] = probabilities[i] * (gradient[i] - (float)dot) * scale;
}

void qat_scale_f32(float *x, size_t count, float factor) {
    for (size_t i = 0; i < count; i++) x[i] *= factor;
}

void qat_add_f32(float *dst, const float *src, size_t count) {
    for (size_t i = 0; i < count; i++) dst[i] += src[i];
}

void qat_embedding_forward_f32(float *out, const float *table, const int32_t *tokens, size_t R,
                               size_t C) {
    for (size_t r = 0; r < R; r++) {
        memcpy(out + r * C, table + (size_t)tokens[r] * C, C * sizeof(float));
    }
}

void qat_embedding_backward_f32(float *dtable, const float *dout, const int32_t *tokens, size_t R,
                                size_t C) {
    for (size_t r = 0; r < R; r++) {
        qat_add_f32(dtable + (size_t)tokens[r] * C, dout + r * C, C);
    }
}

double qat_sum_of_squares_f32_ref(const float *x, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
    return sum;
}

double qat_clip_gradient_f32(float *gradient, const float *x, size_t count, float limit) {
    double sums[8] = {0};
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i], a = x[i] < 0 ? -x[i] : x[i];
        float beyond = a >= limit ? (x[i] < 0 ? -g : g) : 0;
        sums[i % 8] += beyond;
        gradient[i] = a >= limit ? 0 : g;
    }
    double sum = 0;
    for (size_t i = 0; i < 8; i++) sum += sums[i];
    return sum;
}
