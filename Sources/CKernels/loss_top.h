// What the twins of the loss on a teacher's most likely tokens share: everything but the passes over
// the whole vocabulary. Outcomes are those tokens, and all others as one.
#pragma once
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include "qat_transformer.h"

// Takes the chosen tokens' logits out of a row: shifted and scaled into kept, minus infinity in their
// place.
static inline void qat_take_out(float *row, const int32_t *ids, float *kept, size_t k, float top,
                                float scale) {
    for (size_t i = 0; i < k; i++) {
        kept[i] = (row[ids[i]] - top) * scale;
        row[ids[i]] = -INFINITY;
    }
}

// One outcome's part of the loss L; dL/dq, and q dL/dq, whose sum over outcomes the gradient by logits
// subtracts.
typedef struct {
    double loss, slope, mean;
} qat_outcome;

static inline qat_outcome qat_outcome_of(qat_divergence kind, double lq, double lp, double beta) {
    double q = exp(lq), p = exp(lp);
    qat_outcome o = {0, 0, 0};
    switch (kind) {
    case QAT_FORWARD_KL:
        o.loss = p > 0 ? p * (lp - lq) : 0;
        o.slope = -exp(lp - lq);
        o.mean = -p;
        break;
    case QAT_REVERSE_KL:
        o.slope = lq - lp;
        o.mean = o.loss = q > 0 ? q * o.slope : 0;
        break;
    case QAT_JENSEN_SHANNON: {
        double m = fmax(beta * p + (1 - beta) * q, DBL_MIN);
        double log_q = q > 0 ? log(q / m) : 0, log_p = p > 0 ? log(p / m) : 0;
        o.slope = (1 - beta) * log_q;
        o.mean = q * o.slope;
        o.loss = beta * p * log_p + q * o.slope;
        break;
    }
    }
    return o;
}

// Adds the loss of a row to sum. kept, the chosen tokens' logits, becomes their gradient; what is
// returned turns the others' exponentials, whose sum is given, into theirs.
static inline float qat_top_loss(const qat_top_divergence *settings, float *kept,
                                 const float *log_teacher, double others, size_t k,
                                 int has_others, qat_loss_sum *sum) {
    qat_divergence kind = settings->kind;
    double beta = settings->beta, temperature = settings->temperature;
    double slope = (double)settings->gradient_scale * temperature, total = others;
    for (size_t i = 0; i < k; i++) total += exp((double)kept[i]);
    double log_total = log(total), loss = 0, mean = 0;
    for (size_t i = 0; i < k; i++) {
        qat_outcome o = qat_outcome_of(kind, kept[i] - log_total, log_teacher[i], beta);
        loss += o.loss;
        mean += o.mean;
    }
    qat_outcome rest = {0, 0, 0};
    if (has_others) {
        double log_others = log(fmax(others, DBL_MIN));
        rest = qat_outcome_of(kind, log_others - log_total, log_teacher[k], beta);
        loss += rest.loss;
        mean += rest.mean;
    }
    for (size_t i = 0; i < k; i++) {
        double lq = kept[i] - log_total, q = exp(lq);
        qat_outcome o = qat_outcome_of(kind, lq, log_teacher[i], beta);
        kept[i] = (float)((o.mean - q * mean) * slope);
    }
    sum->loss += loss * temperature * temperature;
    sum->rows += 1;
    return others > 0 ? (float)((rest.slope - mean) / total * slope) : 0;
}

// From the chosen tokens' shifted logits and the sum of the others' exponentials, log-probabilities;
// the last is that of all others, minus infinity where there are none.
static inline void qat_finish_outcomes(float *values, double others, size_t k, int has_others) {
    double total = others;
    for (size_t i = 0; i < k; i++) total += exp((double)values[i]);
    double log_total = log(total);
    for (size_t i = 0; i < k; i++) values[i] = (float)(values[i] - log_total);
    values[k] = has_others ? (float)(log(fmax(others, DBL_MIN)) - log_total) : -INFINITY;
}

// The row's best k entries, best first, equal ones in order. The root of the heap is the worst kept.
typedef struct {
    float value;
    int32_t id;
} qat_candidate;

static inline int qat_is_worse(qat_candidate a, qat_candidate b) {
    return a.value < b.value || (a.value == b.value && a.id > b.id);
}

// Puts x at the place `at` or below it.
static inline void qat_sift(qat_candidate *heap, size_t at, size_t count, qat_candidate x) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && qat_is_worse(heap[child + 1], heap[child])) child++;
        if (!qat_is_worse(heap[child], x)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = x;
}

static inline void qat_heap_begin(qat_candidate *heap, const float *row, size_t k) {
    for (size_t i = 0; i < k; i++) heap[i] = (qat_candidate){row[i], (int32_t)i};
    for (size_t i = k / 2; i-- > 0;) qat_sift(heap, i, k, heap[i]);
}

// Later entries replace the worst where they are larger; an equal one does not.
static inline void qat_heap_offer(qat_candidate *heap, size_t k, float value, size_t id) {
    if (value > heap[0].value) qat_sift(heap, 0, k, (qat_candidate){value, (int32_t)id});
}

// Sorts the heap, best first, into ids.
static inline void qat_heap_end(qat_candidate *heap, int32_t *ids, size_t k) {
    for (size_t count = k; count > 0; count--) {
        ids[count - 1] = heap[0].id;
        qat_sift(heap, 0, count - 1, heap[count - 1]);
    }
}
