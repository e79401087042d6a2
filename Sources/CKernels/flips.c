// Weights whose codes flip back and forth are found and frozen. One pass over memory: no fast twins.
#include "qat_optimizer.h"

void qat_track_flips_f32(float *w, const float *rounded, float *previous, float *mean,
                         float *frequency, uint8_t *state, size_t count,
                         const qat_flip_rule *rule) {
    const float share = rule->momentum, rest = 1.0f - rule->momentum;
    for (size_t i = 0; i < count; i++) {
        if (state[i] == QAT_FLIP_FROZEN) {
            w[i] = previous[i];
            continue;
        }
        float now = rounded[i], before = previous[i];
        previous[i] = now;
        if (state[i] == QAT_FLIP_UNSEEN) {
            mean[i] = now;
            frequency[i] = 0;
            state[i] = QAT_FLIP_STILL;
            continue;
        }
        float flipped = 0;
        if (now != before) {
            uint8_t direction = now > before ? QAT_FLIP_UP : QAT_FLIP_DOWN;
            flipped = state[i] != QAT_FLIP_STILL && state[i] != direction;
            state[i] = direction;
        }
        frequency[i] = share * flipped + rest * frequency[i];
        mean[i] = share * now + rest * mean[i];
        if (frequency[i] > rule->threshold) {
            w[i] = mean[i];
            state[i] = QAT_FLIP_FREEZING;
        }
    }
}

void qat_freeze_flips_f32(float *w, const float *rounded, float *previous, uint8_t *state,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (state[i] != QAT_FLIP_FREEZING) continue;
        w[i] = previous[i] = rounded[i];
        state[i] = QAT_FLIP_FROZEN;
    }
}
