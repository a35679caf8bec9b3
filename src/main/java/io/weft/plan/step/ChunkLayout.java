package io.weft.plan.step;

import io.weft.model.CacheGeometry;
import java.util.List;

/**
 * Where a chunk's parts lie while a layer uses them, in bytes from the start of its slot or of the workspace. A slot
 * has, each aligned: all activations, in the order of the parts, whether they crossed the link, were gathered or
 * decoded; K and V that crossed as they are; the codes that crossed, part by part. The workspace has K and V that were
 * recomputed, then those that were decoded.
 */
public final class ChunkLayout {
    private final List<StagedForm> forms;
    private final long[] activationOffsets;
    private final long[] keyValueOffsets;
    private final long[] codeOffsets;
    private final long slotBytes;
    private final long workspaceBytes;

    public ChunkLayout(CacheGeometry geometry, Chunk chunk) {
        List<Chunk.Part> parts = chunk.parts();
        this.forms =
                parts.stream().map(part -> StagedForm.of(geometry, part.form())).toList();
        this.activationOffsets = new long[parts.size()];
        this.keyValueOffsets = new long[parts.size()];
        this.codeOffsets = new long[parts.size()];
        long activations = 0;
        for (int i = 0; i < parts.size(); i++) {
            activationOffsets[i] = activations;
            activations += parts.get(i).blocks() * forms.get(i).activationBytes();
        }
        long slot = StagingLayout.align(activations);
        long workspace = 0;
        for (int i = 0; i < parts.size(); i++) {
            StagedForm form = forms.get(i);
            keyValueOffsets[i] = form.workspaceBytes() > 0 ? workspace : slot;
            workspace += parts.get(i).blocks() * form.workspaceBytes();
            slot += StagingLayout.align(parts.get(i).blocks() * form.keyValueBytes());
        }
        for (int i = 0; i < parts.size(); i++) {
            codeOffsets[i] = slot;
            slot += StagingLayout.align(parts.get(i).blocks() * forms.get(i).codeBytes());
        }
        this.slotBytes = slot;
        this.workspaceBytes = StagingLayout.align(workspace);
    }

    /** Where a part that crosses the link arrives in the slot. */
    public long arrivalOffset(int part) {
        StagedForm form = forms.get(part);
        if (form.codeBytes() > 0) {
            return codeOffsets[part];
        }
        return form.keyValueBytes() > 0 ? keyValueOffsets[part] : activationOffsets[part];
    }

    /** Where a part's activations are in the slot. */
    public long activationOffset(int part) {
        return activationOffsets[part];
    }

    /** Whether attention reads a part in the workspace, and not in the slot. */
    public boolean isInWorkspace(int part) {
        return forms.get(part).workspaceBytes() > 0;
    }

    /** Where attention reads a part's K and V, in the workspace or in the slot. */
    public long keyValueOffset(int part) {
        return keyValueOffsets[part];
    }

    /** Bytes of the slot, aligned. */
    public long slotBytes() {
        return slotBytes;
    }

    /** Bytes of the workspace, aligned. */
    public long workspaceBytes() {
        return workspaceBytes;
    }
}
