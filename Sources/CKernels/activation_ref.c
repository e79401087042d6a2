// Reference kernels of the MLP's nonlinearities: the specification the fast twins are tested against.
#include <math.h>
#include "qat_transformer.h"

static const float root_half = 0.70710678118654752f;       // sqrt(1/2)
static const float root_2_over_pi = 0.79788456080286536f;  // sqrt(2/pi)
static const float cubic = 0.044715f;  // of GELU's approximation (Hendrycks & Gimpel 2016)

static float value(qat_activation f, float x) {
    switch (f) {
        case QAT_SILU: return x / (1.0f + expf(-x));
        case QAT_GELU: return 0.5f * x * (1.0f + erff(x * root_half));
        case QAT_GELU_TANH:
            return 0.5f * x * (1.0f + tanhf(root_2_over_pi * (x + cubic * x * x * x)));
        case QAT_RELU: return x > 0 ? x : 0;
        default: return x > 0 ? x * x : 0;
    }
}

static float slope(qat_activation f, float x) {
    switch (f) {
        case QAT_SILU: {
            float sigmoid = 1.0f / (1.0f + expf(-x));
            return sigmoid * (1.0f + x * (1.0f - sigmoid));
        }
        case QAT_GELU: {
            float density = 0.5f * root_2_over_pi * expf(-0.5f * x * x);
            return 0.5f * (1.0f + erff(x * root_half)) + x * density;
        }
        case QAT_GELU_TANH: {
            float t = tanhf(root_2_over_pi * (x + cubic * x * x * x));
            float inner = root_2_over_pi * (1.0f + 3.0f * cubic * x * x);
            return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner;
        }
        case QAT_RELU: return x > 0 ? 1 : 0;
        default: return x > 0 ? 2 * x : 0;
    }
}

void qat_activation_forward_f32_ref(qat_activation f, float *out, const float *gate,
                                    const float *up, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = gate ? value(f, gate[i]) * up[i] : value(f, up[i]);
    }
}

void qat_activation_backward_f32_ref(qat_activation f, float *dgate, float *dup,
                                     const float *dout, const float *gate, const float *up,
                                     size_t count) {
    for (size_t i = 0; i < count; i++) {
        float d = dout[i];
        if (gate) {
            float g = gate[i], u = up[i];
            dup[i] = d * value(f, g);
            dgate[i] = d * u * slope(f, g);
        } else {
            dup[i] = d * slope(f, up[i]);
        }
    }
}
