package io.weft.plan.step;

import io.weft.model.CacheForm;
import io.weft.model.CacheForm.Content;
import io.weft.model.CacheForm.Place;
import io.weft.model.CacheGeometry;

/**
 * What a block that attention does not read where it is takes of a slot and of the workspace, in bytes.
 *
 * @param activationBytes of a slot for activations
 * @param keyValueBytes of a slot for K and V that crossed the link as they are
 * @param codeBytes of a slot for codes that crossed the link
 * @param workspaceBytes of the workspace for K and V that were computed or decoded
 */
record StagedForm(CacheForm form, long activationBytes, long keyValueBytes, long codeBytes, long workspaceBytes) {
    static StagedForm of(CacheGeometry geometry, CacheForm form) {
        boolean isCoded = form.encoding().isCoded();
        long keyValues = geometry.blockLayerBytes(Content.KEY_VALUE);
        return switch (form.content()) {
            case ACTIVATION ->
                new StagedForm(
                        form, geometry.blockLayerBytes(Content.ACTIVATION), 0, codeBytes(geometry, form), keyValues);
            case KEY_VALUE ->
                isCoded
                        ? new StagedForm(form, 0, 0, codeBytes(geometry, form), keyValues)
                        : new StagedForm(form, 0, keyValues, 0, 0);
        };
    }

    /** What lies on the device is decoded from where it is. */
    private static long codeBytes(CacheGeometry geometry, CacheForm form) {
        boolean cross = form.encoding().isCoded() && form.place() == Place.HOST;
        return cross ? geometry.blockLayerBytes(form.encoding()) : 0;
    }
}
